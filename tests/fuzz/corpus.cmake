# Without libFuzzer: one program of all fuzz targets, which runs each over its kept corpus, with any compiler.
# `fuzz_corpus make tests/fuzz/corpus` writes the inputs that the encoders make, after a format has changed.
file(GLOB fuzz_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*_fuzz.cpp)
add_executable(fuzz_corpus ${CMAKE_CURRENT_LIST_DIR}/fuzz_corpus.cpp ${CMAKE_CURRENT_LIST_DIR}/real_inputs.cpp
                           ${CMAKE_CURRENT_LIST_DIR}/real_nodes.cpp ${CMAKE_CURRENT_LIST_DIR}/real_keys.cpp
                           ${CMAKE_CURRENT_LIST_DIR}/real_objects.cpp ${CMAKE_CURRENT_LIST_DIR}/real_protocol.cpp
                           ${CMAKE_CURRENT_LIST_DIR}/real_texts.cpp ${CMAKE_CURRENT_LIST_DIR}/real_postgres.cpp
                           ${CMAKE_CURRENT_LIST_DIR}/real_wal.cpp ${CMAKE_CURRENT_LIST_DIR}/real_requests.cpp)
target_link_libraries(fuzz_corpus PRIVATE holdfast_test_support holdfast_cli holdfast_api holdfast_warnings)
target_include_directories(fuzz_corpus PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/fuzz)
set(targets "")
foreach(source ${fuzz_sources})
    get_filename_component(target ${source} NAME_WE)
    string(REGEX REPLACE "_fuzz$" "" name ${target})
    # All have the entry that libFuzzer wants; here each gets a name of its own.
    add_library(corpus_${target} OBJECT ${source})
    target_link_libraries(corpus_${target} PRIVATE holdfast_cli holdfast_api holdfast_warnings)
    target_include_directories(corpus_${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    target_compile_definitions(corpus_${target} PRIVATE LLVMFuzzerTestOneInput=${target})
    target_link_libraries(fuzz_corpus PRIVATE corpus_${target})
    string(APPEND targets "FUZZ_TARGET(${name}, ${target})\n")
    add_test(NAME fuzz_corpus.${name} COMMAND fuzz_corpus run ${name} ${CMAKE_CURRENT_LIST_DIR}/corpus/${name})
    set_tests_properties(fuzz_corpus.${name} PROPERTIES LABELS unit TIMEOUT 300)
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/fuzz/fuzz_targets.inc CONTENT "${targets}")
