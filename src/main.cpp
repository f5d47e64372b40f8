#include "cli/application.h"

int main(int argc, char** argv) { return holdfast::run_application(argc, argv); }
