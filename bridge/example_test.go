//go:build linux || darwin

package bridge_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"retroattn/bridge"
)

// Generates with sparse attention where it is available.
func Example() {
	lib, err := bridge.Load(bridge.Paths{Dir: os.Getenv("RETRO_STOCK_DIR")})
	if err != nil {
		fmt.Println(err)
		return
	}
	model, err := lib.LoadModel(os.Getenv("RETRO_MODEL"), bridge.ModelParams{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer model.Close()
	ctx, err := model.NewContext(bridge.ContextParams{Ctx: 1024})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ctx.Close()
	if lib.HasRetro() {
		if err := ctx.EnableRetro(""); err != nil {
			fmt.Println(err)
			return
		}
	}
	_, err = ctx.Generate(context.Background(), "Once upon a time", bridge.GenerateOptions{MaxTokens: 16},
		func(piece string) bool { fmt.Print(piece); return true })
	fmt.Println(err, ctx.RetroSummary())
}

// The smallest step of a decoding loop: choose the next token and put it into the batch of the next Decode.
func ExampleBatch() {
	logits := []float32{-1.5, 0.25, 3.75, 2}
	batch := bridge.NewBatch(1)
	batch.Clear()
	batch.Add(bridge.Argmax(logits), 17, 0, true)
	fmt.Println(batch.Len(), bridge.Argmax(logits))
	// Output: 1 2
}

// An example without a fixed output is not run by go test.
func TestExampleRuns(t *testing.T) {
	if os.Getenv("RETRO_STOCK_DIR") == "" || os.Getenv("RETRO_MODEL") == "" {
		t.Skip("RETRO_STOCK_DIR or RETRO_MODEL is not set")
	}
	Example()
}
