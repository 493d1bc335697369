#include <doctest/doctest.h>

#include <sstream>
#include <string>

#include "trellis/plan/error.h"
#include "trellis/plan/units.h"

using namespace trellis;

TEST_CASE("quantities add, scale and compare as whole numbers") {
  CHECK(4 * 512 * 1024 * 4_B == 8_MiB);
  CHECK(3_KiB - 1_KiB == 2048_B);
  CHECK(7_B / 2 == 3_B);
  CHECK(1_ms + 1_us == 1001_us);
  CHECK(1_s > 999_ms);
  CHECK(ratio(1_GiB, 4_GiB) == 0.25);
  CHECK(scaled(3_B, 0.5) == 2_B);
  CHECK(scaled(1_s, 1e30) == Picoseconds(INT64_MAX));
  CHECK(to_seconds(1500_ms) == 1.5);
  CHECK(from_seconds(0.0017) == 1700_us);
  Bytes total;
  total += 5_B;
  total -= 2_B;
  CHECK(total == 3_B);
}

TEST_CASE("quantities are written for people") {
  CHECK(format(0_B) == "0 B");
  CHECK(format(1023_B) == "1023 B");
  CHECK(format(4_MiB) == "4.0 MiB");
  CHECK(format(1_MiB - 1_B) == "1.0 MiB");
  CHECK(format(38_GiB + 512_MiB) == "38.5 GiB");
  CHECK(format(Bytes(INT64_MAX)) == "8192.0 PiB");
  CHECK(format(Bytes(-2048)) == "-2.0 KiB");
  CHECK(format(7_ps) == "7 ps");
  CHECK(format(310_us) == "0.31 ms");
  CHECK(format(20_us) == "20.00 us");
  CHECK(format(412_ms + 500_us) == "412.50 ms");
  CHECK(format(90_s) == "90.00 s");
  CHECK(format(Flops(2'147'483'648)) == "2.15 GFLOP");
  CHECK(format(Flops(12)) == "12 FLOP");
  CHECK(format(Range{3, 3}) == "3");
  CHECK(format(Range{0, 11}) == "0-11");
  CHECK(fmt::format("{:>9}|{}", 4_MiB, 310_us) == "  4.0 MiB|0.31 ms");
  std::ostringstream out;
  out << 4_MiB << ", " << 1_ns;
  CHECK(out.str() == "4194304 B, 1000 ps");
}

TEST_CASE("exact texts are read back to the same value") {
  CHECK(exact(4_MiB) == "4MiB");
  CHECK(exact(1537_B) == "1537B");
  CHECK(exact(0_B) == "0B");
  CHECK(exact(310_us) == "310us");
  CHECK(exact(1234567_ps) == "1.234567us");
  for (const std::int64_t value : {0L, 1L, 1000L, 1024L, 999'999'999'999L, INT64_MAX}) {
    CHECK(parse_bytes(exact(Bytes(value))) == Bytes(value));
    CHECK(parse_time(exact(Picoseconds(value))) == Picoseconds(value));
  }
}

TEST_CASE("units are read as written") {
  CHECK(parse_bytes("38GiB") == 38_GiB);
  CHECK(parse_bytes("512MB") == 512'000'000_B);
  CHECK(parse_bytes("1.5 GiB") == 1536_MiB);
  CHECK(parse_bytes("0") == 0_B);
  CHECK(parse_time("1.7ms") == 1700_us);
  CHECK(parse_time("2 min") == 120_s);
  CHECK(parse_bandwidth("25GB/s") == 25e9);
  CHECK(parse_bandwidth("200Gbit/s") == 25e9);
  CHECK(parse_flops("312TFLOP/s") == 312e12);
  CHECK(parse_flops("1.5PFLOPS") == 1.5e15);
}

TEST_CASE("a quantity that cannot be read names the form expected") {
  CHECK_THROWS_WITH_AS(parse_bytes("38"),
                       "expected a size such as '38GiB', found '38'\n"
                       "    add a unit: B, KiB, MiB, GiB, TiB, PiB, KB, kB, MB, GB, TB, PB",
                       Error);
  CHECK_THROWS_WITH_AS(parse_bytes("38gib"), "expected a size such as '38GiB', found '38gib'\n    did you mean 'GiB'?",
                       Error);
  CHECK_THROWS_WITH_AS(parse_bytes("GiB"), "expected a size such as '38GiB', found 'GiB'", Error);
  CHECK_THROWS_WITH_AS(parse_bytes(""), "expected a size such as '38GiB', found ''", Error);
  CHECK_THROWS_WITH_AS(parse_bytes("inf"), "expected a size such as '38GiB', found 'inf'", Error);
  CHECK_THROWS_WITH_AS(parse_bytes("-1GiB"),
                       "expected a size such as '38GiB', found '-1GiB'\n    it cannot be negative", Error);
  CHECK_THROWS_WITH_AS(parse_bytes("9223372036854775808B"),
                       "expected a size such as '38GiB', found '9223372036854775808B'\n    this is out of range",
                       Error);
  CHECK_THROWS_WITH_AS(parse_bytes("9000PiB"),
                       "expected a size such as '38GiB', found '9000PiB'\n    this is out of range", Error);
  CHECK_THROWS_WITH_AS(parse_time("1.7"),
                       "expected a time such as '1.7ms', found '1.7'\n    add a unit: ps, ns, us, ms, s, min, h",
                       Error);
  CHECK_THROWS_WITH_AS(parse_time("5 parsecs"),
                       "expected a time such as '1.7ms', found '5 parsecs'\n    units: ps, ns, us, ms, s, min, h",
                       Error);
  CHECK_THROWS_WITH_AS(parse_bandwidth("25GB"),
                       "expected a bandwidth such as '25GB/s', found '25GB'\n"
                       "    units: B/s, KB/s, kB/s, MB/s, GB/s, TB/s, KiB/s, MiB/s, GiB/s, TiB/s, Mbit/s, Gbit/s, "
                       "Tbit/s",
                       Error);
  CHECK_THROWS_WITH_AS(parse_flops("312TFLOPs"),
                       "expected a speed such as '312TFLOP/s', found '312TFLOPs'\n    did you mean 'TFLOPS'?", Error);
}

TEST_CASE("ranges have both ends included") {
  CHECK(parse_range("0-11") == Range{0, 11});
  CHECK(parse_range("7") == Range{7, 7});
  CHECK(parse_ranges("0-3,5, 7-8") == std::vector<Range>{{0, 3}, {5, 5}, {7, 8}});
  CHECK_THROWS_WITH_AS(parse_range("5-3"), "the range '5-3' runs backwards: write '3-5'", Error);
  for (const char* wrong : {"", "-", "-3", "3-", "a-b", "1-2-3", "1 -2", "+1", "99999999999999999999"}) {
    CAPTURE(wrong);
    CHECK_THROWS_WITH_AS(parse_range(wrong),
                         fmt::format("expected a range such as '0-11' or '7', found '{}'", wrong).c_str(), Error);
  }
  CHECK_THROWS_WITH_AS(parse_ranges("1,,2"), "expected a range such as '0-11' or '7', found ''", Error);
}
