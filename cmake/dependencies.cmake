# Every dependency is Debian's; docs/dependencies.md says why each one is here.
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(CURL REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(pugixml REQUIRED)
find_package(date REQUIRED)
find_package(SQLiteCpp REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(pq REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)

# Debian 12 has no libblake3, but its Rust package carries the C sources of the same project.
file(GLOB blake3_source_directories /usr/share/cargo/registry/blake3-*/c)
list(LENGTH blake3_source_directories blake3_count)
if(NOT blake3_count EQUAL 1)
    message(FATAL_ERROR "The C sources of BLAKE3 were not found: install librust-blake3-dev (see docs/dependencies.md).")
endif()
list(GET blake3_source_directories 0 BLAKE3_DIRECTORY)
add_library(holdfast_blake3 STATIC
    ${BLAKE3_DIRECTORY}/blake3.c ${BLAKE3_DIRECTORY}/blake3_dispatch.c ${BLAKE3_DIRECTORY}/blake3_portable.c)
target_include_directories(holdfast_blake3 SYSTEM PUBLIC ${BLAKE3_DIRECTORY})
set_target_properties(holdfast_blake3 PROPERTIES COMPILE_OPTIONS "-O3")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_sources(holdfast_blake3 PRIVATE
        ${BLAKE3_DIRECTORY}/blake3_sse2_x86-64_unix.S ${BLAKE3_DIRECTORY}/blake3_sse41_x86-64_unix.S
        ${BLAKE3_DIRECTORY}/blake3_avx2_x86-64_unix.S ${BLAKE3_DIRECTORY}/blake3_avx512_x86-64_unix.S)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    target_sources(holdfast_blake3 PRIVATE ${BLAKE3_DIRECTORY}/blake3_neon.c)
endif()

# Debian has {fmt} as a shared library and as headers. The first would be one more thing that a machine must have for a
# restore, and of the second every file would compile the whole anew: it is compiled here, once.
add_library(holdfast_fmt STATIC ${PROJECT_SOURCE_DIR}/cmake/fmt_library.cpp)
target_link_libraries(holdfast_fmt PRIVATE holdfast_warnings)

# Loaded when they are first needed (base/shared_library.h), so that only their headers are used here.
add_library(holdfast_curl_headers INTERFACE)
target_include_directories(holdfast_curl_headers SYSTEM INTERFACE ${CURL_INCLUDE_DIRS})
add_library(holdfast_pq_headers INTERFACE)
target_include_directories(holdfast_pq_headers SYSTEM INTERFACE ${pq_INCLUDE_DIRS})
