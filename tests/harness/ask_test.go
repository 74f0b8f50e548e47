package harness

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// cut is a server whose answer ends in the middle of a line.
type cut struct{ end func() error }

func (c cut) RoundTrip(*http.Request) (*http.Response, error) {
	body := io.MultiReader(strings.NewReader(`data: {"stop":`), c)
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body)}, nil
}

func (c cut) Read([]byte) (int, error) { return 0, c.end() }

// A line that is cut off as the context is done is no fault of the server; any other is.
func TestAskOfACutLine(t *testing.T) {
	defer func(before http.RoundTripper) { http.DefaultClient.Transport = before }(
		http.DefaultClient.Transport)
	ctx, cancel := context.WithCancel(t.Context())
	http.DefaultClient.Transport = cut{func() error { return io.EOF }}
	_, err := new(Request).Ask(ctx, "http://server", 0)
	require.ErrorContains(t, err, `unexpected end of JSON input in {"stop":`)

	http.DefaultClient.Transport = cut{func() error { cancel(); return ctx.Err() }}
	_, err = new(Request).Ask(ctx, "http://server", 0)
	require.Equal(t, context.Canceled, err)
}
