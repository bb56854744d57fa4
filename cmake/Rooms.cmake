# dg_room(NAME SOURCES ... DEPS ...): one folder of src/ = one static library = one namespace.
# Compile options for all targets stand here too.
add_library(dg_options INTERFACE)
target_compile_options(dg_options INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
                                            -ffp-contract=off -fno-math-errno
                                            # GCC 12 sees overlaps in std::string that are not there (PR 105329)
                                            $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
if(DGEMMA_WERROR)
  target_compile_options(dg_options INTERFACE -Werror)
endif()
if(DGEMMA_SANITIZE)
  target_compile_options(dg_options INTERFACE -fsanitize=${DGEMMA_SANITIZE} -fno-omit-frame-pointer -g1)
  target_link_options(dg_options INTERFACE -fsanitize=${DGEMMA_SANITIZE})
  if(DGEMMA_SANITIZE MATCHES "undefined") # without checks of pointers that take a quarter of the build; address sees most
    target_compile_options(dg_options INTERFACE -fno-sanitize-recover=all
                                                -fno-sanitize=null,object-size,pointer-overflow,vptr)
  endif()
endif()

if(DGEMMA_FUZZ) # the rooms report their coverage; only the fuzzers get libFuzzer's main (fuzz/CMakeLists.txt)
  target_compile_options(dg_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# dg_unity(TARGET KIND): DGEMMA_UNITY lets eight files compile as one, so that the templates that every file would
# instantiate anew (JSON, matchers) are instantiated once. File-local names must then differ within a room and within its
# tests.
function(dg_unity target kind)
  if(DGEMMA_UNITY STREQUAL "ALL" OR DGEMMA_UNITY STREQUAL kind)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON)
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>) # files are headers to it
  endif()
endfunction()

function(dg_room name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_library(dg_${name} STATIC ${arg_SOURCES})
  target_include_directories(dg_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(dg_${name} PUBLIC ${arg_DEPS} PRIVATE dg_options)
  if(NOT name MATCHES "^(base|tensor|kernels|ops)$") # the kernels' files have flags of their own, the others gain little
    dg_unity(dg_${name} ROOMS)
  endif()
  if(DGEMMA_SANITIZE AND name MATCHES "^(tensor|kernels|ops|model|diffusion)$")
    target_compile_options(dg_${name} PRIVATE -O1) # the presets optimise nothing else, for the build's sake
  endif()
endfunction()

# dg_test(NAME SOURCES ... DEPS ...): one GoogleTest program per room of tests/; each TEST is one CTest test.
function(dg_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name}_test ${PROJECT_SOURCE_DIR}/tests/main.cc ${arg_SOURCES})
  target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${name}_test PRIVATE DGEMMA_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name}_test PRIVATE ${arg_DEPS} dg_options GTest::gmock)
  if(NOT DGEMMA_SANITIZE)
    target_compile_options(${name}_test PRIVATE -O1) # -O3 takes twice as long to compile, and no test waits for its own code
  endif()
  dg_unity(${name}_test TESTS)
  gtest_discover_tests(${name}_test TEST_PREFIX "${name}." WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
                       DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 600)
endfunction()
