/* An extension module by pybind11: a class with state, and a function. */
#include <pybind11/pybind11.h>

#include <cmath>
#include <string>

namespace
{

class Wave
{
      public:
	explicit Wave(double step) : step_(step)
	{
	}

	/* A line that shows where the wave is now; then it goes on by a step. */
	std::string next()
	{
		double height = std::sin(at_); /* from -1 to 1 */
		at_ += step_;
		return std::string(static_cast<int>(20 + 18 * height), ' ') + "*";
	}

	double at() const
	{
		return at_;
	}

      private:
	double step_, at_ = 0;
};

std::string shape()
{
	return "sine";
}

} // namespace

PYBIND11_MODULE(waves, module)
{
	module.def("shape", shape, "What the waves are.");
	pybind11::class_<Wave>(module, "Wave")
		.def(pybind11::init<double>())
		.def("next", &Wave::next, "The next line.")
		.def_property_readonly("at", &Wave::at, "How far it is.");
}
