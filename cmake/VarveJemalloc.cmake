# SPDX-License-Identifier: MIT
# VarveJemalloc.cmake -- a private copy of jemalloc for the collector's tables.
#
# varve_jemalloc_object(OUT) makes one object file from the distribution's position-independent static library: every
# symbol is renamed to varve_je_..., all but the four that meta.c uses become local, and the places jemalloc reads
# its settings from are overwritten by names that cannot exist. The object becomes part of libvarve, so users link
# one archive, and neither their malloc nor their MALLOC_CONF has anything to do with ours. jemalloc's C++ operators
# stay out.

function(varve_jemalloc_object out)
  find_library(VARVE_JEMALLOC_PIC NAMES libjemalloc_pic.a
    DOC "position-independent static jemalloc 5.3, or empty to do without (VARVE_META=malloc)")
  if(NOT VARVE_JEMALLOC_PIC)
    message(FATAL_ERROR "libjemalloc_pic.a was not found: install libjemalloc-dev, or use -DVARVE_META=malloc")
  endif()
  foreach(tool NM OBJCOPY AR LINKER)
    if(NOT CMAKE_${tool})
      message(FATAL_ERROR "the private copy of jemalloc needs binutils (${tool}); or use -DVARVE_META=malloc")
    endif()
  endforeach()
  set(object ${CMAKE_CURRENT_BINARY_DIR}/varve_jemalloc.o)
  set(script ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/jemalloc_copy.sh)
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${CMAKE_COMMAND} -E env NM=${CMAKE_NM} OBJCOPY=${CMAKE_OBJCOPY} AR=${CMAKE_AR} LD=${CMAKE_LINKER}
            sh ${script} ${VARVE_JEMALLOC_PIC} ${object}
    DEPENDS ${script} ${VARVE_JEMALLOC_PIC}
    COMMENT "Making the library's own copy of jemalloc"
    VERBATIM)
  set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
  set(${out} ${object} PARENT_SCOPE)
endfunction()
