# SPDX-License-Identifier: MIT
# tests/programs/harness.cmake -- scripts/peers.py and scripts/report.py, on implementations that only pretend.

add_test(NAME programs.harness
  COMMAND Python3::Interpreter -B ${CMAKE_CURRENT_LIST_DIR}/harness_test.py ${PROJECT_SOURCE_DIR})
set_tests_properties(programs.harness PROPERTIES LABELS "programs;quick" TIMEOUT 120)
