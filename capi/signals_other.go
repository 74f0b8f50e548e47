//go:build !linux

package main

func handlersOnStack() {}
