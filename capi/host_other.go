//go:build !linux

package main

func handlersOnStack() {}

func forked() bool { return false }
