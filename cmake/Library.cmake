# The library for programs outside: every room below server and cli in one archive, target dgemma::dgemma, its headers
# include/dgemma. In the same build (add_subdirectory) or installed (find_package(dgemma)): examples/minimal does both.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)
find_package(PkgConfig REQUIRED)
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)

set(objects "")
foreach(room ${DGEMMA_ROOMS})
  if(NOT room MATCHES "^(server|cli)$")
    list(APPEND objects $<TARGET_OBJECTS:dg_${room}>)
  endif()
endforeach()
add_library(dgemma_library STATIC ${objects}) # dgemma is the program
add_library(dgemma::dgemma ALIAS dgemma_library)
set_target_properties(dgemma_library PROPERTIES LINKER_LANGUAGE CXX OUTPUT_NAME dgemma EXPORT_NAME dgemma)
target_compile_features(dgemma_library INTERFACE cxx_std_20)
target_include_directories(dgemma_library INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(dgemma_library PRIVATE Threads::Threads PkgConfig::utf8proc $<BUILD_INTERFACE:dg_options>)

if(DGEMMA_INSTALL)
  set(package ${CMAKE_INSTALL_LIBDIR}/cmake/dgemma)
  if(TARGET dgemma)
    install(TARGETS dgemma)
  endif()
  install(TARGETS dgemma_library EXPORT dgemma)
  install(DIRECTORY include/dgemma DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT dgemma NAMESPACE dgemma:: DESTINATION ${package})
  install(FILES cmake/dgemmaConfig.cmake DESTINATION ${package})
  write_basic_package_version_file(dgemmaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/dgemmaConfigVersion.cmake DESTINATION ${package})
endif()
