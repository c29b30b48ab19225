# SPDX-License-Identifier: MIT
# stage.cmake -- cmake -DBUILD= -DSTAGE= -DMOVED= -P: install to STAGE, then move the whole to MOVED.
file(REMOVE_RECURSE ${STAGE} ${MOVED})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${STAGE} COMMAND_ERROR_IS_FATAL ANY)
file(RENAME ${STAGE} ${MOVED})
