# Compiles small files of llama.cpp together that spend their time on reading the same headers, as llama.cpp does with those of
# its language models: of picture models and of parsers. The targets are not there yet when this is read.
if (NOT CMAKE_VERSION VERSION_LESS 3.19)
    function(retro_unity target folder)
        get_target_property(sources ${target} SOURCES)
        get_target_property(root ${target} SOURCE_DIR)
        list(FILTER sources EXCLUDE REGEX "^${folder}/")
        list(FILTER sources EXCLUDE REGEX "^/") # generated
        list(TRANSFORM sources PREPEND "${root}/")
        set_source_files_properties(${sources} TARGET_DIRECTORY ${target} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
        set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 16)
    endfunction()
    cmake_language(DEFER CALL retro_unity mtmd models)
    cmake_language(DEFER CALL retro_unity llama-common parsers)
endif()

# Ggml has modules for processors with SME, which gcc knows from 14 on. Before, nothing depends on them, and they are not made.
if (CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
    function(add_dependencies target)
        if (NOT "${ARGN}" MATCHES "ggml-cpu-armv9")
            _add_dependencies(${target} ${ARGN})
        endif()
    endfunction()
endif()
