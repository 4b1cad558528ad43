/* An extension module as the C API's manual has it: a function, and a type with static slots. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>
#include <structmember.h>

static int readings;

struct thermometer {
	PyObject_HEAD double celsius;
};

static PyObject *text_of(double celsius)
{
	char text[80];
	double shown = celsius; /* degrees Celsius */
	PyOS_snprintf(text, sizeof text, "%.1f C (reading %d)", shown, ++readings);
	return PyUnicode_FromString(text);
}

static PyObject *describe(PyObject *module, PyObject *celsius)
{
	(void)module;
	double value = PyFloat_AsDouble(celsius);
	return PyErr_Occurred() ? NULL : text_of(value);
}

static PyObject *thermometer_read(PyObject *self, PyObject *nothing)
{
	(void)nothing;
	return text_of(((struct thermometer *)self)->celsius);
}

static PyObject *thermometer_repr(PyObject *self)
{
	PyObject *text = text_of(((struct thermometer *)self)->celsius);
	PyObject *found = text ? PyUnicode_FromFormat("<thermometer %U>", text) : NULL;
	Py_XDECREF(text);
	return found;
}

static PyMethodDef thermometer_methods[] = {
	{"read", thermometer_read, METH_NOARGS, "What it shows."},
	{NULL, NULL, 0, NULL},
};

static PyMemberDef thermometer_members[] = {
	{"celsius", T_DOUBLE, offsetof(struct thermometer, celsius), 0, "The temperature."},
	{NULL, 0, 0, 0, NULL},
};

static PyTypeObject thermometer_type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "thermometer.Thermometer",
	.tp_basicsize = sizeof(struct thermometer),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.tp_new = PyType_GenericNew,
	.tp_repr = thermometer_repr,
	.tp_methods = thermometer_methods,
	.tp_members = thermometer_members,
};

static PyMethodDef functions[] = {
	{"describe", describe, METH_O, "A temperature in degrees Celsius as text."},
	{NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "thermometer",
	.m_size = -1,
	.m_methods = functions,
};

PyMODINIT_FUNC PyInit_thermometer(void)
{
	PyObject *module = PyModule_Create(&definition);
	if (!module || PyModule_AddType(module, &thermometer_type) < 0) {
		Py_XDECREF(module);
		return NULL;
	}
	return module;
}
