# find_package(retroattn) defines the target retroattn::retroattn, wherever this folder was unpacked.
get_filename_component(_retroattn_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if (NOT TARGET retroattn::retroattn)
    add_library(retroattn::retroattn SHARED IMPORTED)
    set_target_properties(retroattn::retroattn PROPERTIES
        IMPORTED_LOCATION "${_retroattn_prefix}/@LIBRARY@"
        IMPORTED_IMPLIB "${_retroattn_prefix}/lib/libretroattn.dll.a"
        IMPORTED_SONAME "@SONAME@"
        INTERFACE_INCLUDE_DIRECTORIES "${_retroattn_prefix}/include")
endif()
unset(_retroattn_prefix)
