# What makes an exploitable mistake end the program instead: pgsteer_hardening, for optimised builds
# without sanitizers (which do more, and do not go together with it). tests/checks/hardening looks at
# the result; bench/README.md has the cost.
include(CheckCXXCompilerFlag)
include(CheckCXXSourceCompiles)

add_library(pgsteer_hardening INTERFACE)
target_compile_options(pgsteer_hardening INTERFACE -fPIE -fstack-protector-strong)
target_compile_definitions(pgsteer_hardening INTERFACE _GLIBCXX_ASSERTIONS)
target_link_options(pgsteer_hardening INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)

foreach(flag -fstack-clash-protection -fcf-protection=full -mbranch-protection=standard)
  string(MAKE_C_IDENTIFIER "PGSTEER_HAS${flag}" known)
  check_cxx_compiler_flag(${flag} ${known})
  if(${known})
    target_compile_options(pgsteer_hardening INTERFACE ${flag})
  endif()
endforeach()

# Level 3 needs g++ 12 and glibc 2.35; older headers warn, and treat it as 2.
set(CMAKE_REQUIRED_FLAGS "-O2 -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
check_cxx_source_compiles("#include <cstring>\nint main() { return 0; }" PGSTEER_HAS_FORTIFY_3)
unset(CMAKE_REQUIRED_FLAGS)
# As options, because CMake puts definitions in front of them: -U would take away what -D has set.
set(level 2)
if(PGSTEER_HAS_FORTIFY_3)
  set(level 3)
endif()
target_compile_options(pgsteer_hardening INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${level})
