// Included before everything else in the build of tests/mutate: which mutant is on. The number
// comes from the environment, so one binary holds them all; without it the program is as written.
#pragma once

#include <cstdlib>

// Initialised before every variable that is defined after this line, whichever file it is in.
inline const int pgsteer_chosen_mutant = [] {
  const char* number = std::getenv("PGSTEER_MUTANT");
  return number ? std::atoi(number) : 0;
}();

#define PGSTEER_MUTANT(number) (pgsteer_chosen_mutant == (number))
