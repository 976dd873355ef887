# add_bpf_object(NAME SOURCE): compiles SOURCE with clang for BPF and generates NAME.skel.h (bpftool gen skeleton).
# Target NAME_skel is an INTERFACE library whose users get the header's folder and wait for it.
find_program(BPF_CLANG NAMES clang-19 REQUIRED)
find_program(BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)

function(add_bpf_object name source)
  set(out ${CMAKE_BINARY_DIR}/generated)
  file(MAKE_DIRECTORY ${out})
  get_filename_component(source ${source} ABSOLUTE)
  add_custom_command(
    OUTPUT ${out}/${name}.bpf.o
    COMMAND ${BPF_CLANG} -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter
            -Wno-address-of-packed-member -fno-stack-protector -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=
            -I${CMAKE_SOURCE_DIR}/bpf -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE} -MD -MF ${out}/${name}.bpf.d
            -c ${source} -o ${out}/${name}.bpf.o
    DEPENDS ${source} DEPFILE ${out}/${name}.bpf.d
    COMMENT "BPF ${name}" VERBATIM)
  add_custom_command(
    OUTPUT ${out}/${name}.skel.h
    COMMAND ${BPFTOOL} gen skeleton ${out}/${name}.bpf.o name ${name} > ${out}/${name}.skel.h
    DEPENDS ${out}/${name}.bpf.o COMMENT "skeleton ${name}" VERBATIM)
  add_custom_target(${name}_skel_header DEPENDS ${out}/${name}.skel.h)
  add_library(${name}_skel INTERFACE)
  target_include_directories(${name}_skel SYSTEM INTERFACE ${out})
  target_link_libraries(${name}_skel INTERFACE PkgConfig::LIBBPF)
  add_dependencies(${name}_skel ${name}_skel_header)
endfunction()
