# Compiles the small files of llama.cpp's picture models together, as llama.cpp compiles those of its language models: they
# spend their time on reading the same headers. The targets are not there yet when this is read.
if (NOT CMAKE_VERSION VERSION_LESS 3.19)
    function(retro_unity)
        get_target_property(sources mtmd SOURCES)
        get_target_property(folder mtmd SOURCE_DIR)
        list(FILTER sources EXCLUDE REGEX "^models/")
        list(TRANSFORM sources PREPEND "${folder}/")
        set_source_files_properties(${sources} TARGET_DIRECTORY mtmd PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
        set_target_properties(mtmd PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 16)
    endfunction()
    cmake_language(DEFER CALL retro_unity)
endif()
