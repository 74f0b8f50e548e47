package bridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Chat is a conversation in one sequence of a context. A turn decodes only what the sequence does
// not hold yet. Like the context it is for one goroutine at a time; others must leave the sequence
// alone.
type Chat struct {
	c        *Context
	seq      int
	system   int // messages that Reset keeps: 0 or 1
	messages []Message
	held     []Token // what the sequence holds, from position 0

	text   string  // template of the last turn with its reply
	tokens []Token // that text as it was decoded and generated
}

// NewChat begins a conversation in a sequence, which is emptied. system is what the model is to
// keep to; "" = no such message, which for some models' templates means one of their own. Errors
// are those of SeqRemove and ApplyTemplate.
func (c *Context) NewChat(seq int, system string) (*Chat, error) {
	if err := c.SeqRemove(seq, -1, -1); err != nil {
		return nil, err
	}
	chat := &Chat{c: c, seq: seq}
	if system != "" {
		chat.system = 1
		chat.messages = []Message{{"system", system}}
	}
	if _, err := c.model.ApplyTemplate(append(chat.Messages(), Message{"user", ""}),
		true); err != nil {
		return nil, err
	}
	return chat, nil
}

// Messages returns the conversation so far.
func (chat *Chat) Messages() []Message { return slices.Clone(chat.messages) }

// Reset forgets all messages but that of the system. The sequence keeps what the next turn can use.
func (chat *Chat) Reset() {
	chat.messages, chat.text, chat.tokens = chat.messages[:chat.system], "", nil
}

// Send adds a turn of the user and generates the reply, as Generate does; Seq and Tokens of opt are
// set here, and Prompt of the Generation counts what was decoded anew.
//
// After an error, such as a cancelled ctx, the chat can go on; after ErrTooLong, following Reset. A
// turn that has a reply, if only a part of one, stays in the conversation with that; a turn without
// one is taken back.
func (chat *Chat) Send(ctx context.Context, text string, opt GenerateOptions,
	yield func(piece string) bool) (Generation, error) {
	messages := append(chat.Messages(), Message{"user", text})
	prompt, err := chat.c.model.ApplyTemplate(messages, true)
	if err != nil {
		return Generation{}, err
	}
	tokens, err := chat.tokenize(prompt)
	if err != nil {
		return Generation{}, err
	}
	if len(tokens) > chat.c.seqCtx {
		return Generation{}, fmt.Errorf("%w: conversation of %d tokens, there are %d", ErrTooLong,
			len(tokens), chat.c.seqCtx)
	}
	kept, err := chat.keep(tokens)
	if err != nil {
		return Generation{}, err
	}
	opt.Seq, opt.Tokens = chat.seq, tokens[kept:]
	got, err := chat.c.Generate(ctx, "", opt, yield)
	chat.held = append(slices.Clone(tokens[:kept+got.Prompt]), got.Tokens[:got.Decoded]...)
	if len(got.Tokens) > 0 || err == nil {
		chat.messages = append(messages, Message{"assistant", got.Text})
		chat.text, chat.tokens = prompt+got.Text, append(tokens, got.Tokens...)
		// there are tokens whose text was not passed on
		if got.Reason == StopString || got.Reason == Stopped {
			chat.text, chat.tokens = "", nil
		}
	}
	return got, err
}

// tokenize takes the tokens of what was said from where they were generated: the tokens of their
// text may be others.
func (chat *Chat) tokenize(prompt string) ([]Token, error) {
	more, goesOn := strings.CutPrefix(prompt, chat.text)
	if chat.text == "" || !goesOn {
		return chat.c.model.Tokenize(prompt, true, true)
	}
	tokens, err := chat.c.model.Tokenize(more, false, true)
	return append(slices.Clone(chat.tokens), tokens...), err
}

// keep removes from the sequence what does not begin the tokens, and says how many of these are
// left: not all, since the last one's logits are needed.
func (chat *Chat) keep(tokens []Token) (int, error) {
	n := 0
	for n < min(len(chat.held), len(tokens)-1) && chat.held[n] == tokens[n] {
		n++
	}
	if n == len(chat.held) {
		return n, nil
	}
	// A cache of sliding windows has lost what comes before them, and recurrent models cannot drop
	// a part.
	first, err := chat.c.SeqPosMin(chat.seq)
	if err != nil {
		return 0, err
	}
	if first > 0 || chat.c.SeqRemove(chat.seq, n, -1) != nil {
		n = 0
		if err := chat.c.SeqRemove(chat.seq, -1, -1); err != nil {
			return 0, err
		}
	}
	chat.held = chat.held[:n]
	return n, nil
}
