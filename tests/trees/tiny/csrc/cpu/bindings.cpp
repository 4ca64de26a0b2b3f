#include <Python.h>

#include <exception>

#include "cpu/ops.hpp"

static PyObject* py_add(PyObject*, PyObject* args) {
  long long a = 0, b = 0;
  if (!PyArg_ParseTuple(args, "LL", &a, &b)) return nullptr;
  try {
    return PyLong_FromLongLong(add(a, b));
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
    return nullptr;
  }
}

static PyObject* py_count_nodes(PyObject*, PyObject*) { return PyLong_FromLong(count_nodes()); }

static PyMethodDef methods[] = {
    {"add", py_add, METH_VARARGS, "a + b"},
    {"count_nodes", py_count_nodes, METH_NOARGS, "NUMA nodes"},
    {nullptr, nullptr, 0, nullptr},
};

static PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_C", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr,
};

PyMODINIT_FUNC PyInit__C() { return PyModule_Create(&module); }
