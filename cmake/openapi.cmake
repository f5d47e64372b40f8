# src/api/openapi.yaml becomes a text in the program; a change of it is a reason to configure again.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/api/openapi.yaml)
file(READ ${PROJECT_SOURCE_DIR}/src/api/openapi.yaml HOLDFAST_OPENAPI)
configure_file(${PROJECT_SOURCE_DIR}/src/api/openapi_text.cpp.in ${PROJECT_BINARY_DIR}/api/openapi_text.cpp @ONLY)
# A longer literal than every compiler must take; those that build this do.
set_source_files_properties(${PROJECT_BINARY_DIR}/api/openapi_text.cpp PROPERTIES COMPILE_OPTIONS -Wno-overlength-strings)
target_sources(holdfast_api PRIVATE ${PROJECT_BINARY_DIR}/api/openapi_text.cpp)
