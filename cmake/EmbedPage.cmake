# dg_embed_page(TARGET FOLDER): puts the files of FOLDER into TARGET as the table that server/page_files.h declares.
#
# At build time this same file runs as a script (cmake -P) and writes one C++ source in which each file is a string
# literal of \x escapes: no tool but CMake, and a literal compiles much faster than a list of numbers. Test:
# tests/server/page_files_test.cc.
set(DG_PAGE_MIMES
  html text/html css text/css js text/javascript mjs text/javascript txt text/plain svg image/svg+xml woff2 font/woff2)

function(dg_embed_page target folder)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS RELATIVE ${folder}
       ${folder}/*.html ${folder}/*.css ${folder}/*.js ${folder}/*.mjs ${folder}/*.svg ${folder}/*.woff2 ${folder}/*.txt)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/page_files_data.cc)
  list(TRANSFORM files PREPEND ${folder}/ OUTPUT_VARIABLE paths)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} "-DFOLDER=${folder}" "-DFILES=${files}" "-DOUTPUT=${output}"
            -P ${CMAKE_CURRENT_FUNCTION_LIST_FILE}
    DEPENDS ${paths} ${CMAKE_CURRENT_FUNCTION_LIST_FILE}
    COMMENT "Embedding the page" VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()

function(dg_write_page folder files output)
  set(entries "")
  foreach(file ${files})
    get_filename_component(extension ${file} LAST_EXT)
    string(SUBSTRING ${extension} 1 -1 extension)
    list(FIND DG_PAGE_MIMES ${extension} at)
    math(EXPR at "${at} + 1")
    list(GET DG_PAGE_MIMES ${at} mime)
    if(mime MATCHES "^text/")
      string(APPEND mime "; charset=utf-8")
    endif()
    file(READ ${folder}/${file} hex HEX)
    file(SHA256 ${folder}/${file} hash)
    string(SUBSTRING ${hash} 0 16 hash)
    string(LENGTH "${hex}" digits)
    math(EXPR size "${digits} / 2")
    string(REPEAT "[0-9a-f]" 64 line)
    string(REGEX REPLACE "(${line})" "\\1\"\n   \"" hex "${hex}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" hex "${hex}")
    string(APPEND entries "  {\"/${file}\", \"${mime}\", \"\\\"${hash}\\\"\", {\"${hex}\", ${size}}},\n")
  endforeach()
  file(WRITE ${output} "// Made by cmake/EmbedPage.cmake.\n#include \"server/page_files.h\"\n\nnamespace dgemma::server {\n"
       "namespace {\n\nconstexpr PageFile kFiles[] = {\n${entries}};\n\n}  // namespace\n\n"
       "std::span<const PageFile> page_files() { return kFiles; }\n\n}  // namespace dgemma::server\n")
endfunction()

if(CMAKE_SCRIPT_MODE_FILE)
  dg_write_page("${FOLDER}" "${FILES}" "${OUTPUT}")
endif()
