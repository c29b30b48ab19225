# SPDX-License-Identifier: MIT
# version.cmake -- cmake -DVERSION=a.b.c -DHEADER=types.h -P: the project's version is the header's.
file(STRINGS ${HEADER} lines REGEX "^#define VARVE_VERSION_(MAJOR|MINOR|PATCH) [0-9]+$")
set(found "")
foreach(part MAJOR MINOR PATCH)
  string(REGEX MATCH "VARVE_VERSION_${part} ([0-9]+)" match "${lines}")
  list(APPEND found "${CMAKE_MATCH_1}")
endforeach()
list(JOIN found "." found)
if(NOT found STREQUAL VERSION)
  message(FATAL_ERROR "CMakeLists.txt says ${VERSION}, ${HEADER} says ${found}")
endif()
