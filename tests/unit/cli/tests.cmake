# The tests that hold the documents to the code find them from any build folder.
set_source_files_properties(${CMAKE_CURRENT_SOURCE_DIR}/unit/cli/documents_test.cc
                            PROPERTIES COMPILE_DEFINITIONS XLVS_DOCS="${CMAKE_SOURCE_DIR}/docs/")
