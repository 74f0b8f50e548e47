package bridge_test

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/retro/options"
)

// The examples below take the folder of llama.cpp and the model from the environment.
func open() *bridge.Model {
	dir := os.Getenv("RETRO_STOCK_DIR")
	if dir == "" {
		dir = os.Getenv("RETRO_PATCHED_DIR")
	}
	lib, err := bridge.Load(bridge.Paths{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	model, err := lib.LoadModel(os.Getenv("RETRO_MODEL"), bridge.ModelParams{})
	if err != nil {
		log.Fatal(err)
	}
	return model
}

// Streams a text, with sparse attention where it is available.
func Example() {
	lib, err := bridge.Load(bridge.Paths{Dir: os.Getenv("RETRO_PATCHED_DIR")})
	if err != nil {
		log.Fatal(err)
	}
	model, err := lib.LoadModel(os.Getenv("RETRO_MODEL"), bridge.ModelParams{})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	c, err := model.NewContext(bridge.ContextParams{Ctx: 1024})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if lib.HasRetro() {
		if err := c.EnableRetro(""); err != nil {
			log.Fatal(err)
		}
	}
	got, err := c.Generate(context.Background(), "Once upon a time",
		bridge.GenerateOptions{MaxTokens: 16},
		func(piece string) bool { fmt.Print(piece); return true })
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("\n%d tokens, %v\n", len(got.Tokens), got.Reason)
	if got.Retro != nil {
		fmt.Println(got.Retro)
	}
}

// Serves what sparse attention did to a monitor, as expvar and as Prometheus want it.
func ExampleMetrics() {
	var metrics bridge.Metrics // of all contexts that are given it
	model := open()
	defer model.Close()
	c, err := model.NewContext(bridge.ContextParams{Ctx: 1024, Metrics: &metrics})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	expvar.Publish("retroattn", &metrics) // net/http serves it at /debug/vars
	http.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, metrics.Prometheus())
	})
}

// Stops after a while, even in the middle of a long prompt, and goes on from there.
func ExampleContext_Generate() {
	model := open()
	defer model.Close()
	c, err := model.NewContext(bridge.ContextParams{Ctx: 1024})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	got, err := c.Generate(ctx, "Red, green,",
		bridge.GenerateOptions{MaxTokens: 40, Stop: []string{".", "\n"}}, nil)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		log.Fatal(err)
	}
	fmt.Printf("%q (%v)\n", got.Text, got.Reason)

	// What the memory does not hold yet comes first.
	more := bridge.GenerateOptions{Tokens: got.Tokens[got.Decoded:], MaxTokens: 4}
	if len(more.Tokens) > 0 {
		if _, err = c.Generate(context.Background(), "", more, nil); err != nil {
			log.Fatal(err)
		}
	}
}

// A grammar makes the model choose among answers.
func ExampleModel_NewSampler() {
	model := open()
	defer model.Close()
	c, err := model.NewContext(bridge.ContextParams{Ctx: 512})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	sampler, err := model.NewSampler(bridge.SamplerParams{Temperature: 0.8, TopP: 0.95, Seed: 1,
		Grammar: `root ::= "yes" | "no"`})
	if err != nil {
		log.Fatal(err)
	}
	defer sampler.Close()
	got, err := c.Generate(context.Background(), "Is the sky blue? ",
		bridge.GenerateOptions{Sampler: sampler}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.Text == "yes" || got.Text == "no", got.Reason)
}

// A conversation; each turn decodes what is new.
func ExampleChat() {
	model := open()
	defer model.Close()
	c, err := model.NewContext(bridge.ContextParams{Ctx: 2048})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	chat, err := c.NewChat(0, "You answer with one word.")
	if err != nil {
		log.Fatal(err)
	}
	for _, line := range []string{"What is the capital of France?", "And of Italy?"} {
		reply, err := chat.Send(context.Background(), line, bridge.GenerateOptions{MaxTokens: 24},
			nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(reply.Text)
	}
	fmt.Println(len(chat.Messages()), "messages")
}

// The options as a struct: here a plan chooses budget and period for the window of 4 that was set.
func ExampleContext_EnableRetroOptions() {
	model := open()
	defer model.Close()
	c, err := model.NewContext(bridge.ContextParams{Ctx: 4096})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	o := options.Default()
	o.Window, o.MinCtx = 4, 512
	switch err := c.EnableRetroOptions(o); {
	case errors.Is(err, bridge.ErrRetroAbsent):
		fmt.Println("not available")
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Println(c.RetroPlan())
	}
}

// The figures of a request are the difference of two readings.
func ExampleBatch() {
	logits := []float32{-1.5, 0.25, 3.75, 2}
	batch := bridge.NewBatch(1)
	batch.Clear()
	batch.Add(bridge.Argmax(logits), 17, 0, true)
	fmt.Println(batch.Len(), bridge.Argmax(logits))
	// Output: 1 2
}

// The examples that need a model have no fixed output, so that go test only compiles them; here
// they run.
func TestExamples(t *testing.T) {
	stock, patched := os.Getenv("RETRO_STOCK_DIR"), os.Getenv("RETRO_PATCHED_DIR")
	if stock == "" && patched == "" || os.Getenv("RETRO_MODEL") == "" {
		t.Skip("RETRO_STOCK_DIR or RETRO_PATCHED_DIR, or RETRO_MODEL, is not set")
	}
	if stock != "" {
		t.Setenv("RETRO_PATCHED_DIR", stock) // a process holds one llama.cpp
	}
	assert.Regexp(t, `(?s).+\n16 tokens, max tokens\n`, output(t, Example))
	assert.Regexp(t, `^"[^.\\]*blue[^.\\]*" \((stop string|max tokens)\)\n$`,
		output(t, ExampleContext_Generate))
	assert.Equal(t, "true end of text\n", output(t, ExampleModel_NewSampler))
	chat := output(t, ExampleChat)
	assert.Regexp(t, `(?s)Paris.*\n5 messages\n$`, chat)
	plan := output(t, ExampleContext_EnableRetroOptions)
	if stock != "" {
		assert.Equal(t, "not available\n", plan)
	} else {
		assert.Regexp(t, `^plan: budget .*, window 4`, plan)
	}
}

// output is what f prints.
func output(t *testing.T, f func()) string {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = file
	func() {
		defer func() { os.Stdout = stdout }()
		f()
	}()
	file.Close()
	data, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Log(strings.TrimSpace(string(data)))
	return string(data)
}
