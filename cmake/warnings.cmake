# Warnings are errors, for our own code only: dependencies come in as SYSTEM includes.
add_library(holdfast_warnings INTERFACE)
target_compile_options(holdfast_warnings INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
    -Woverloaded-virtual -Wold-style-cast -Wnull-dereference -Wformat=2 -Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 reports these falsely inside its own standard library once it inlines (GCC bugs 105329, 105651, 104475).
    target_compile_options(holdfast_warnings INTERFACE
        $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict -Wno-stringop-overflow -Wno-array-bounds -Wno-stringop-overread
        -Wno-null-dereference -Wno-maybe-uninitialized>)
endif()
if(HOLDFAST_SANITIZE)
    add_compile_options(-fsanitize=${HOLDFAST_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${HOLDFAST_SANITIZE})
endif()
