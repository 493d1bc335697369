// trellis_test_rank launch FOLDER: launches two ranks of itself. Each writes its process id to FOLDER/RANK and sleeps.
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "host/launcher.h"

int main(int argc, char** argv) {
  trellis::host::end_with_launcher();
  if (argc != 3) return 2;
  if (std::string(argv[1]) == "launch") return trellis::host::launch_local({argv[0], "rank", argv[2]}, 2);
  std::ofstream(std::string(argv[2]) + "/" + std::getenv("RANK")) << getpid() << std::endl;
  sleep(60);
}
