add_test(NAME unit.config.schema COMMAND ${CMAKE_SOURCE_DIR}/tests/unit/config/schema_test.py)
set_tests_properties(unit.config.schema PROPERTIES LABELS unit TIMEOUT ${XLVS_TEST_TIMEOUT})
