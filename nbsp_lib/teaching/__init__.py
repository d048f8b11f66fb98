"""What only the learn notebooks need: checks of answers, training that is watched, pictures, films."""
