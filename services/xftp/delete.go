package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"sotto/services/xftp/internal/transfer"
	"sotto/shared/description"
	"sotto/shared/report"
	"sotto/shared/settings"
)

// remove is the command delete.
func remove(ctx context.Context, args []string, stdout, _ io.Writer) error {
	args, done, err := parseFlags(flag.NewFlagSet("delete", flag.ContinueOnError), args, stdout)
	if err != nil || done {
		return err
	}
	if len(args) == 0 {
		return settings.Bad("delete lacks the name of a sender's description: xftp delete NAME.xftp/%s", senderFile)
	}
	all, err := sendersDescriptions(args)
	if err != nil {
		return err
	}
	var sum transfer.Deleted
	var failed error
	for _, d := range all {
		n, err := transfer.Delete(ctx, d, transfer.Options{})
		sum.Deleted, sum.Gone, sum.Failed = sum.Deleted+n.Deleted, sum.Gone+n.Gone, sum.Failed+n.Failed
		if err != nil && failed == nil {
			failed = err
		}
	}
	return tellDeleted(stdout, sum, failed)
}

// sendersDescriptions reads all descriptions that the arguments stand for, before anything is deleted.
func sendersDescriptions(args []string) ([]*description.Description, error) {
	var all []*description.Description
	for _, arg := range args {
		paths, err := privateFiles(arg)
		if err != nil || len(paths) == 0 {
			return nil, &report.Failure{Reason: fmt.Sprintf("There is no sender's description in %s.", arg), Err: err}
		}
		for _, path := range paths {
			d, err := described(path)
			if err != nil {
				return nil, err
			}
			if d.Party != description.Sender {
				return nil, &report.Failure{
					Reason: "This is a recipient's description, which cannot delete the file. The sender's can.", Err: transfer.ErrParty,
				}
			}
			all = append(all, d)
		}
	}
	return all, nil
}

// tellDeleted says what became of the chunks.
func tellDeleted(stdout io.Writer, n transfer.Deleted, failed error) error {
	if n.Deleted > 0 {
		fmt.Fprintf(stdout, "Deleted %s.\n", count(n.Deleted, "chunk"))
	}
	if n.Gone > 0 {
		fmt.Fprintf(stdout, "Gone already: %s.\n", count(n.Gone, "chunk"))
	}
	if failed == nil {
		return nil
	}
	return &report.Failure{
		Reason: fmt.Sprintf("Not deleted: %s. %s", count(n.Failed, "chunk"), reason(failed)), Err: failed,
	}
}
