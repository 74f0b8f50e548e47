package bridge

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// What cannot be is refused before a model is opened.
func TestDescribeRefuses(t *testing.T) {
	lib := patchedModel(t).lib
	_, err := lib.Describe("none.gguf", ContextParams{Ctx: -1})
	assert.ErrorIs(t, err, ErrArgument)
	assert.ErrorContains(t, err, "Ctx is -1")
	_, err = lib.Describe("none.gguf", ContextParams{})
	assert.ErrorContains(t, err, "none.gguf")
}
