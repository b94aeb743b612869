package smp

import "sotto/shared/wire"

// NSUB subscribes the connection to a queue's notifications.
//
// Spec: smp.md 9.13
type NSUB struct{}

// Tag returns "NSUB".
func (NSUB) Tag() string { return "NSUB" }

// Party returns Notifier.
func (NSUB) Party() Party { return Notifier }

// AppendCommand appends the command.
func (NSUB) AppendCommand(dst []byte, _ wire.Version) []byte { return append(dst, "NSUB"...) }

// NSUBS subscribes a service to the notifications of all queues associated with it.
//
// Spec: smp.md 9.13
type NSUBS struct{}

// Tag returns "NSUBS".
func (NSUBS) Tag() string { return "NSUBS" }

// Party returns NotifierService.
func (NSUBS) Party() Party { return NotifierService }

// AppendCommand appends the command.
func (NSUBS) AppendCommand(dst []byte, _ wire.Version) []byte { return append(dst, "NSUBS"...) }
