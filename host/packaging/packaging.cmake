# What `cmake --install` puts where, in five components, and the Debian packages that CPack makes of them.
include(CMakePackageConfigHelpers)

set(cmake_folder ${CMAKE_INSTALL_LIBDIR}/cmake/litbuild)
set(data_folder ${CMAKE_INSTALL_DATADIR}/litbuild)

# library
install(TARGETS litbuild_shared EXPORT litbuildTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS litbuild-runner RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/litbuild COMPONENT library)

# programs; they find the library wherever the prefix is moved to
file(RELATIVE_PATH library_from_program ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
foreach(program litbuild litbuild-plugin)
  set_target_properties(${program} PROPERTIES INSTALL_RPATH "$ORIGIN/${library_from_program}")
  install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
  set(reference host/${program}/reference/${program})
  install(FILES ${reference}.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT programs)
  install(FILES ${reference}.bash RENAME ${program} COMPONENT programs
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
endforeach()

# plugins
foreach(plugin local-fs local-process nfs container slurm)
  install(TARGETS ${plugin} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/litbuild/plugins COMPONENT plugins)
  install(FILES ${LITBUILD_PLUGIN_OUTPUT}/${plugin}.json DESTINATION ${CMAKE_INSTALL_LIBDIR}/litbuild/plugins COMPONENT plugins)
endforeach()

if(TARGET litbuild-slurm)
  install(TARGETS litbuild-slurm RUNTIME DESTINATION ${CMAKE_INSTALL_LIBDIR}/litbuild/plugins COMPONENT plugins)
endif()

# development
install(TARGETS litbuild_sdk EXPORT litbuildTargets)
install(EXPORT litbuildTargets NAMESPACE litbuild:: DESTINATION ${cmake_folder} COMPONENT development)
install(DIRECTORY sdk/include/litbuild engine/include/litbuild DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development
        FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(FILES ${PROJECT_BINARY_DIR}/include/litbuild/version.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/litbuild
        COMPONENT development)
configure_package_config_file(sdk/cmake/litbuildConfig.cmake.in ${PROJECT_BINARY_DIR}/cmake/litbuildConfig.cmake
                              INSTALL_DESTINATION ${cmake_folder} PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_BINDIR)
# Before 1.0 each minor version is an interface of its own.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/litbuildConfigVersion.cmake COMPATIBILITY SameMinorVersion)
file(RELATIVE_PATH LITBUILD_PREFIX_FROM_PC ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(sdk/cmake/litbuild.pc.in ${PROJECT_BINARY_DIR}/cmake/litbuild.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cmake/litbuildConfig.cmake ${PROJECT_BINARY_DIR}/cmake/litbuildConfigVersion.cmake
              sdk/cmake/LitbuildPlugin.cmake sdk/cmake/plugin.map
        DESTINATION ${cmake_folder} COMPONENT development)
install(FILES ${PROJECT_BINARY_DIR}/cmake/litbuild.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
install(DIRECTORY sdk/template DESTINATION ${data_folder} COMPONENT development)
install(DIRECTORY engine/examples/ DESTINATION ${data_folder}/examples COMPONENT development)

# Debian packages: `cpack -G DEB` in the build folder.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME litbuild)
set(CPACK_PACKAGE_CONTACT "litbuild <litbuild@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Launches data builds, tells their status, stops, archives and restores them")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/lib)
set(CPACK_COMPONENTS_ALL library plugins programs development)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME liblitbuild${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set(CPACK_DEBIAN_PLUGINS_PACKAGE_NAME litbuild-plugins)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME litbuild)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME liblitbuild-dev)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_PLUGINS_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_COMPONENT_PROGRAMS_DEPENDS library)
set(CPACK_COMPONENT_DEVELOPMENT_DEPENDS library)
if(TARGET litbuild_python)
  list(APPEND CPACK_COMPONENTS_ALL python)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-litbuild)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
  set(CPACK_COMPONENT_PYTHON_DEPENDS library)
  # The extension is for this interpreter alone.
  math(EXPR next_minor "${Python3_VERSION_MINOR} + 1")
  set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "python3 (>= 3.${Python3_VERSION_MINOR}), python3 (<< 3.${next_minor})")
endif()
include(CPack)
