# Programs for Windows, made by Debian's g++-mingw-w64-x86-64-posix.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc-posix)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
set(CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# gcc aligns stacks to 16 bytes only on Windows, which aligned moves of AVX fault on (https://gcc.gnu.org/PR54412).
add_compile_options(-Wa,-muse-unaligned-vector-move)
# mingw-w64 before 11 lacks THREAD_POWER_THROTTLING_STATE, which ggml's C code uses from Windows 8 on.
add_compile_options($<$<COMPILE_LANGUAGE:C>:-D_WIN32_WINNT=0x0601>)
