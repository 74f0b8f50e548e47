package speed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// remote is a worker, seen from the parent.
type remote struct {
	ctx       context.Context
	name      string
	cmd       *exec.Cmd
	client    *rpc.Client
	complaint *tail
	about     About
}

// startWorker starts this program again.
func startWorker(ctx context.Context, name string, shared *os.File, s Start) (*remote, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r := &remote{ctx: ctx, name: name, cmd: exec.CommandContext(ctx, self, "worker"),
		complaint: &tail{}}
	r.cmd.WaitDelay = 5 * time.Second
	r.cmd.ExtraFiles = []*os.File{shared} // stateFD
	r.cmd.Stderr = r.complaint
	// Contexts are stock until a policy says otherwise.
	r.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v,
			"LLAMA_RETRO_ATTN=")
	})
	in, err := r.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	r.client = jsonrpc.NewClient(pipe{out, in})
	if err := r.call("Start", s, &r.about); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// call waits for an answer. A worker that died tells why on its standard error.
func (r *remote) call(method string, args, reply any) error {
	call := r.client.Go("Worker."+method, args, reply, make(chan *rpc.Call, 1))
	select {
	case <-r.ctx.Done():
		return r.ctx.Err()
	case <-call.Done:
	}
	err := call.Error
	if errors.Is(err, rpc.ErrShutdown) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, io.EOF) {
		err = fmt.Errorf("it ended: %s", r.complaint)
	}
	if err != nil {
		return fmt.Errorf("%s worker, %s: %w", r.name, strings.ToLower(method), err)
	}
	return nil
}

// close ends the worker; one that was killed has nothing to say.
func (r *remote) close() error {
	if r == nil {
		return nil
	}
	_ = r.client.Close()
	_ = r.cmd.Wait()
	return nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	data []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	t.data = t.data[max(0, len(t.data)-2000):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.data))
}
