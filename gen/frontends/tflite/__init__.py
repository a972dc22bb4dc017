"""TensorFlow Lite's .tflite files, float and full-integer, read from their bytes."""
