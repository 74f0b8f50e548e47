#!/bin/sh
# Gives the module another import path, in all files: build/module.sh example.org/you/retroattn
# The last part must stay retroattn: the program build knows its checkout by it.
set -eu
new=${1:?name the new path, as in: build/module.sh example.org/you/retroattn}
case $new in
*/retroattn) ;;
*) echo "$new: the last part must be retroattn" >&2; exit 1 ;;
esac
cd -- "$(dirname -- "$0")/.."
old=$(go list -m)
go mod edit -module "$new"
(
    cd tests/lab
    go mod edit -module "$new/tests/lab" -droprequire "$old" -dropreplace "$old" \
        -require "$new@v0.0.0" -replace "$new=../.."
)
find . -name .git -prune -o -name '*.go' -exec sed -i.old "s|\"$old/|\"$new/|g" {} +
sed -i.old "s|$old\([/ @]\)|$new\1|g" docs/go.md
find . -name .git -prune -o -name '*.go.old' -exec rm {} +
rm docs/go.md.old
gofmt -w $(find . -mindepth 1 -maxdepth 1 -type d ! -name '.*')
