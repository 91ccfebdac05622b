#include "acknowledgement.h"

#include <array>

#include "bindings.h"

namespace persisting::python {
namespace {

// Not by nb::class_: its instances are registered one by one, which takes longer than the rest of a put's return.
PyTypeObject* acknowledgement_type = nullptr;

PyObject* itself(PyObject* self) { return Py_NewRef(self); }

PySendResult send_none(PyObject*, PyObject*, PyObject** result) {
  *result = Py_NewRef(Py_None);
  return PYGEN_RETURN;
}

// Ends an iteration: an error need not be set.
PyObject* next(PyObject*) { return nullptr; }

PyObject* send(PyObject*, PyObject*) {
  PyErr_SetNone(PyExc_StopIteration);
  return nullptr;
}

// Of a coroutine that has not begun: what is thrown in comes out.
PyObject* throw_in(PyObject*, PyObject* arguments) {
  PyObject* thrown = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  if (PyArg_UnpackTuple(arguments, "throw", 1, 3, &thrown, &value, &traceback) == 0) return nullptr;
  if (PyExceptionInstance_Check(thrown)) {
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(thrown)), thrown);
  } else if (PyExceptionClass_Check(thrown)) {
    PyErr_SetObject(thrown, value);
  } else {
    PyErr_Format(PyExc_TypeError, "throw() takes an exception, not %s", Py_TYPE(thrown)->tp_name);
  }
  return nullptr;
}

PyObject* close(PyObject*, PyObject*) { return Py_NewRef(Py_None); }

std::array methods{
    PyMethodDef{"send", send, METH_O, nullptr},
    PyMethodDef{"throw", throw_in, METH_VARARGS, nullptr},
    PyMethodDef{"close", close, METH_NOARGS, nullptr},
    PyMethodDef{},
};

template <typename Function>
PyType_Slot slot(int id, Function function) {
  return {id, reinterpret_cast<void*>(function)};
}

}  // namespace

nb::object make_acknowledgement() {
  return nb::steal(PyType_GenericAlloc(acknowledgement_type, 0));
}

void bind_acknowledgement(nb::module_& module) {
  std::array slots{
      slot(Py_am_await, itself),
      slot(Py_am_send, send_none),
      slot(Py_tp_iter, itself),
      slot(Py_tp_iternext, next),
      PyType_Slot{Py_tp_methods, methods.data()},
      PyType_Slot{},
  };
  PyType_Spec spec{"persisting._core.Acknowledgement", sizeof(PyObject), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots.data()};
  PyObject* type = PyType_FromModuleAndSpec(module.ptr(), &spec, nullptr);
  if (type == nullptr) throw nb::python_error();
  acknowledgement_type = reinterpret_cast<PyTypeObject*>(type);
  module.attr("Acknowledgement") = nb::steal(Py_NewRef(type));
}

}  // namespace persisting::python
