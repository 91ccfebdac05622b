#include "process_memory.h"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

ProcessMemory process_memory() {
  ProcessMemory memory;
  std::ifstream status("/proc/self/status");
  std::string name;
  while (status >> name) {
    if (name == "RssAnon:") status >> memory.anonymous_bytes;
    if (name == "VmHWM:") status >> memory.peak_bytes;
  }
  if (memory.anonymous_bytes == 0 || memory.peak_bytes == 0) {
    std::cerr << "/proc/self/status has no RssAnon or no VmHWM\n";
    std::exit(1);
  }
  memory.anonymous_bytes *= 1024;
  memory.peak_bytes *= 1024;
  return memory;
}
