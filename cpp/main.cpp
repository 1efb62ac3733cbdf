#include "app.hpp"
#include "descriptors.hpp"

int main(int argc, char** argv) {
  dpdkproj::open_standard_descriptors();
  return dpdkproj::run_app({argv, argv + argc});
}
