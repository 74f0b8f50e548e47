package bridge

import (
	"fmt"
	"runtime"
	"strings"
)

// Message is a turn of a conversation. Which roles there are is up to the model: "system", "user"
// and "assistant", as a rule.
type Message struct {
	Role, Content string
}

// maxChat bounds the text of a conversation in bytes.
const maxChat = 1 << 29

// ApplyTemplate writes a conversation in the form that the model was trained for; assistant adds
// what begins an assistant's turn. The model's template is recognised among those that are built
// into libllama, not interpreted: an ErrNoTemplate where the model has none, or one that is not
// known.
func (m *Model) ApplyTemplate(messages []Message, assistant bool) (string, error) {
	if len(messages) == 0 {
		return "", argError("no messages")
	}
	var pinner runtime.Pinner
	defer pinner.Unpin()
	size := 0
	chat := make([]cChatMessage, len(messages))
	for i, message := range messages {
		if strings.ContainsRune(message.Role, 0) || strings.ContainsRune(message.Content, 0) {
			return "", argError("message %d contains a NUL", i)
		}
		if size += len(message.Role) + len(message.Content); size > maxChat {
			return "", argError("messages of more than %d bytes", maxChat)
		}
		chat[i] = cChatMessage{pinText(&pinner, message.Role), pinText(&pinner, message.Content)}
	}
	pinner.Pin(&chat[0])

	release, err := m.use()
	if err != nil {
		return "", err
	}
	defer release()
	template := m.lib.chatTemplate(m.ptr, 0)
	if template == nil {
		return "", ErrNoTemplate
	}
	buf := make([]byte, 2*size+512)
	n := m.lib.chatApply(template, &chat[0], uint64(len(chat)), assistant, &buf[0], int32(len(buf)))
	if int(n) > len(buf) {
		buf = make([]byte, n)
		n = m.lib.chatApply(template, &chat[0], uint64(len(chat)), assistant, &buf[0],
			int32(len(buf)))
	}
	if n < 0 {
		return "", fmt.Errorf("%w: its own begins with %.60q", ErrNoTemplate, goString(template))
	}
	return string(buf[:n]), nil
}

// pinText returns a NUL-terminated copy that stays where it is.
func pinText(pinner *runtime.Pinner, text string) *byte {
	data := append([]byte(text), 0)
	pinner.Pin(&data[0])
	return &data[0]
}
