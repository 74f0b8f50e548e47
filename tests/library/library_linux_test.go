package library

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// Where the library cannot be mapped, the loader's error is all there is, and an engine that does
// not fit is an error. Where its runtime cannot be started, between that and 2 GiB of addresses, or
// memory runs out later, Go ends the process.
func TestFewAddresses(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "memory")
	harness.Compiler(t).Run(t, "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
		"-Wno-missing-field-initializers", "-I../../capi", "-o", exe, "../testdata/memory.c",
		"-ldl")
	require.Equal(t, "ok\n", harness.Run(t, exe, harness.Library(t)))
}

// A child of fork has none of the threads of Go's runtime. What it may do works, what it may not is
// an error at once, and the parent decodes on.
func TestForkAfterLoad(t *testing.T) {
	require.Equal(t, "ok\n", harness.Run(t, compileC(t, harness.Compiler(t), harness.Library(t),
		"fork")))
}

// imports are the functions that the library may take from others: what Go's runtime needs of libc.
// There is no network among them, and no name resolution.
var imports = strings.Fields(`
	_ITM_deregisterTMCloneTable _ITM_registerTMCloneTable __cxa_finalize __gmon_start__ __errno_location __stack_chk_fail
	abort fprintf fputc fwrite vfprintf stderr strerror malloc free mmap munmap nanosleep clearenv setenv unsetenv
	__register_atfork pthread_attr_destroy pthread_attr_getstack pthread_attr_getstacksize pthread_attr_init pthread_attr_setdetachstate
	pthread_cond_broadcast pthread_cond_wait pthread_create pthread_detach pthread_getattr_np pthread_key_create
	pthread_mutex_lock pthread_mutex_unlock pthread_self pthread_setspecific pthread_sigmask
	setegid seteuid setgid setgroups setregid setresgid setresuid setreuid setuid
	sigaction sigaddset sigemptyset sigfillset sigismember prctl
	memcpy memset strnlen strlen`)

// The library exports the functions of its header and nothing else, imports only what is listed,
// and asks for no memory that is writable and executable, nor for a stack that is.
func TestLibraryFile(t *testing.T) {
	file, err := elf.Open(harness.Setting(t, "RETRO_LIB"))
	require.NoError(t, err)
	defer file.Close()

	header, err := os.ReadFile("../../capi/retroattn.h")
	require.NoError(t, err)
	var declared, exported []string
	for _, m := range regexp.MustCompile(`(?m)^[a-z][a-z0-9_ ]* \*? ?(retro_\w+)\(`).FindAllSubmatch(header, -1) {
		declared = append(declared, string(m[1]))
	}
	require.Greater(t, len(declared), 15)
	symbols, err := file.DynamicSymbols()
	require.NoError(t, err)
	for _, s := range symbols {
		if s.Section == elf.SHN_UNDEF {
			require.Contains(t, imports, s.Name,
				"a new import: is it needed, and does it touch the network or files?")
		} else if elf.ST_TYPE(s.Info) == elf.STT_FUNC || s.Name != "RETRO_1" {
			require.Equal(t, "RETRO_1", s.Version, s.Name)
			exported = append(exported, s.Name)
		}
	}
	slices.Sort(declared)
	slices.Sort(exported)
	require.Equal(t, declared, exported)

	relro, stack := false, false
	for _, p := range file.Progs {
		require.NotEqual(t, elf.PF_W|elf.PF_X, p.Flags&(elf.PF_W|elf.PF_X), "%v", p.Type)
		relro = relro || p.Type == elf.PT_GNU_RELRO
		stack = stack || p.Type == elf.PT_GNU_STACK
	}
	require.True(t, relro, "no read-only relocations")
	require.True(t, stack, "without PT_GNU_STACK the stack is executable")
	flags, err := file.DynValue(elf.DT_FLAGS)
	require.NoError(t, err)
	require.NotEmpty(t, flags)
	require.NotZero(t, elf.DynFlag(flags[0])&elf.DF_BIND_NOW, "the table of imports stays writable")
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH, elf.DT_TEXTREL} {
		values, err := file.DynValue(tag)
		require.NoError(t, err)
		require.Empty(t, values, "%v", tag)
	}
	needed, err := file.ImportedLibraries()
	require.NoError(t, err)
	for _, name := range needed {
		require.Regexp(t, `^(libc|libpthread|libdl|ld-linux.*)\.so`, name)
	}
}

// A process that loads the library and decodes ends at the first system call for the network,
// another program, or a file that is written; once it is loaded, for any file at all. Loading alone
// reads: Go's runtime looks up /sys/kernel/mm/transparent_hugepage/hpage_pmd_size and the
// processors that the control group allows (/proc/self/cgroup, mountinfo, cpu.max or cpu.cfs_*),
// and libc the bounds of the main thread's stack (/proc/self/maps) at the first call.
func TestConfined(t *testing.T) {
	cc, lib := harness.Compiler(t), harness.Library(t)
	exe := filepath.Join(t.TempDir(), "confined")
	cc.Run(t, "-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror",
		"-Wno-missing-field-initializers", "-I../../capi", "-o", exe, "../testdata/confined.c",
		"-ldl", "-lpthread")
	out, err := exec.Command(exe, lib).CombinedOutput()
	if strings.Contains(string(out), "seccomp") {
		t.Skipf("needs seccomp: %s", out)
	}
	require.NoError(t, err, string(out))
	require.Equal(t, "ok\n", string(out))
	for _, what := range []string{"open", "socket"} { // the confinement is there
		err := exec.Command(exe, lib, what).Run()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, what)
		require.Equal(t, syscall.SIGSYS, exit.Sys().(syscall.WaitStatus).Signal(), what)
	}
}
