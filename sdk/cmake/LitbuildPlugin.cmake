# litbuild_add_plugin(NAME SOURCES file... PROVIDES store|status|process... [VERSION 1.0.0] [LIBRARIES target...]
#                     [CHECK_CONFIG json])
#
# Makes NAME.so with its manifest NAME.json in ${LITBUILD_PLUGIN_OUTPUT} (default: the build folder's plugins/): hidden
# symbols, none undefined, and one exported: the plugin's. Where the installed litbuild-plugin is at hand and testing is
# enabled, `ctest` puts it through the conformance checks, as test NAME-conformance, opened with CHECK_CONFIG.
set(LITBUILD_PLUGIN_OUTPUT ${CMAKE_BINARY_DIR}/plugins CACHE PATH "Where plugins and their manifests are put")

# The contract's version stands in its header.
if(NOT LITBUILD_PLUGIN_HEADER)
  set(LITBUILD_PLUGIN_HEADER ${CMAKE_CURRENT_LIST_DIR}/../include/litbuild/plugin.h)
endif()
file(STRINGS ${LITBUILD_PLUGIN_HEADER} litbuild_abi REGEX "^#define LITBUILD_ABI_(MAJOR|MINOR) ")
list(TRANSFORM litbuild_abi REPLACE ".* ([0-9]+)u$" "\\1")
list(JOIN litbuild_abi "." litbuild_abi)
set(LITBUILD_ABI ${litbuild_abi} CACHE INTERNAL "")

function(litbuild_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "VERSION;CHECK_CONFIG" "SOURCES;PROVIDES;LIBRARIES")
  if(NOT arg_VERSION)
    set(arg_VERSION ${PROJECT_VERSION})
  endif()
  add_library(${name} MODULE ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE litbuild::sdk ${arg_LIBRARIES})
  target_link_options(${name} PRIVATE -Wl,--version-script=${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.map -Wl,--exclude-libs,ALL)
  if(NOT LITBUILD_SANITIZE)
    target_link_options(${name} PRIVATE -Wl,-z,defs)
  endif()
  set_target_properties(${name} PROPERTIES PREFIX "" CXX_VISIBILITY_PRESET hidden C_VISIBILITY_PRESET hidden
                        LIBRARY_OUTPUT_DIRECTORY ${LITBUILD_PLUGIN_OUTPUT}
                        LINK_DEPENDS ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.map)
  list(TRANSFORM arg_PROVIDES REPLACE "(.+)" "\"litbuild.\\1/1\"")
  list(JOIN arg_PROVIDES ", " provides)
  file(MAKE_DIRECTORY ${LITBUILD_PLUGIN_OUTPUT})
  file(WRITE ${LITBUILD_PLUGIN_OUTPUT}/${name}.json
       "{\"name\": \"${name}\", \"version\": \"${arg_VERSION}\", \"abi\": \"${LITBUILD_ABI}\", \"library\": \"${name}.so\", "
       "\"provides\": [${provides}]}\n")
  if(LITBUILD_PLUGIN_PROGRAM)
    add_test(NAME ${name}-conformance COMMAND ${LITBUILD_PLUGIN_PROGRAM} check $<TARGET_FILE:${name}> ${arg_CHECK_CONFIG})
  endif()
endfunction()
