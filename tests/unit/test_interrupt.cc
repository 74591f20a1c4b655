// Ctrl-C as a question: no signal is lost, whatever else is ready.
#include <unistd.h>

#include <csignal>

#include "catch.h"
#include "tools/interrupt.h"

using allnorm::tools::Interrupt;

TEST_CASE("a signal counts in poll() alone, with nothing ready and beside a descriptor that is") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const Interrupt interrupt;
  std::vector<pollfd> descriptors = {{ends[0], POLLIN, 0}};
  ::raise(SIGTERM);
  CHECK(interrupt.count() == 0);
  interrupt.poll(descriptors, 0);
  CHECK(interrupt.count() == 1);

  REQUIRE(::write(ends[1], "x", 1) == 1);
  ::raise(SIGTERM);
  interrupt.poll(descriptors, 0);
  CHECK(interrupt.count() == 2);
  CHECK(descriptors[0].revents == POLLIN);
  interrupt.poll(descriptors, 0);
  CHECK(interrupt.count() == 2);
  ::close(ends[0]);
  ::close(ends[1]);
}
