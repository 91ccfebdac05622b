#include "base/decimal.h"

#include <string>

#include <gtest/gtest.h>

namespace persisting {
namespace {

Decimal::Coefficient power_of_ten(int exponent) {
  Decimal::Coefficient power = 1;
  for (; exponent > 0; --exponent) power *= 10;
  return power;
}

TEST(Decimal, CountsDigits) {
  EXPECT_EQ(decimal_digits(0), 0);
  EXPECT_EQ(decimal_digits(9), 1);
  EXPECT_EQ(decimal_digits(-10), 2);
  for (int digits = 1; digits <= 38; ++digits) {
    EXPECT_EQ(decimal_digits(power_of_ten(digits - 1)), digits);
    EXPECT_EQ(decimal_digits(-power_of_ten(digits) + 1), digits);
  }
  EXPECT_TRUE(has_decimal_digits(power_of_ten(38) - 1));
  EXPECT_TRUE(has_decimal_digits(1 - power_of_ten(38)));
  EXPECT_FALSE(has_decimal_digits(power_of_ten(38)));
  EXPECT_FALSE(has_decimal_digits(-power_of_ten(38)));
  EXPECT_FALSE(has_decimal_digits(-power_of_ten(38) - power_of_ten(38) / 2));
}

TEST(Decimal, ChangesScaleWithoutLoss) {
  EXPECT_EQ(rescale({125, 2}, 4), (Decimal{12500, 4}));
  EXPECT_EQ(rescale({-12500, 4}, 2), (Decimal{-125, 2}));
  EXPECT_EQ(rescale({125, 2}, 1), std::nullopt);
  EXPECT_EQ(rescale({0, 3}, 38), (Decimal{0, 38}));
  EXPECT_EQ(rescale({0, 38}, 0), (Decimal{0, 0}));
  EXPECT_EQ(rescale({1, 0}, 37), (Decimal{power_of_ten(37), 37}));
  EXPECT_EQ(rescale({1, 0}, 38), std::nullopt);  // 39 digits
  EXPECT_EQ(rescale({10, 0}, 37), std::nullopt);
  EXPECT_EQ(rescale({power_of_ten(37), 38}, 1), (Decimal{1, 1}));
}

TEST(Decimal, AsText) {
  EXPECT_EQ(to_text({0, 0}), "0");
  EXPECT_EQ(to_text({0, 2}), "0.00");
  EXPECT_EQ(to_text({-1250, 2}), "-12.50");
  EXPECT_EQ(to_text({5, 3}), "0.005");
  EXPECT_EQ(to_text({-5, 1}), "-0.5");
  EXPECT_EQ(to_text({42, 0}), "42");
  EXPECT_EQ(to_text({power_of_ten(38) - 1, 0}), std::string(38, '9'));
  EXPECT_EQ(to_text({power_of_ten(38) - 1, 38}), "0." + std::string(38, '9'));
}

}  // namespace
}  // namespace persisting
