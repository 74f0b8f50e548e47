// Package report keeps what the quality laboratory measured (records), and tells
// what it means: intervals, tables, verdicts, and one HTML page with plots.
//
// It owns the file of results and all statistics. It must not know models or llama.cpp, and of the
// engine only the defaults of its options: a report can be made again from an old file, anywhere.
package report
