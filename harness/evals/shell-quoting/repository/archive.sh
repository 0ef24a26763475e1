#!/bin/sh
# archive.sh SOURCE TARGET: moves logs.
cd $1
count=0
for file in `find . -name *.log -type f`; do
  mkdir -p $2/`dirname $file`
  mv $file $2/$file
  count=`expr $count + 1`
done
echo $count > $2/count
