#include "app.hpp"

int main(int argc, char** argv) { return dpdkproj::run_app({argv, argv + argc}); }
