"""Archives that strangers made, read safely: tar (plain, gzip, xz, lzma, zstd) and zip.

    form = detecting.detect(file, "photos.tar.gz")  # by content
    walking.survey(file, form)                      # reads all of it, writes nothing
    extracting.extract(file, form, folder)          # the same checks, into an empty folder

I/O on the file objects and folder descriptors that are given, and on nothing else. Everything is
read in order, and what is kept in memory does not grow with what the archive holds, but for 16
bytes a name (`names.py`). The controller surveys what was uploaded, the agent extracts it; both by
`walking.walk`, so that what one accepted the other takes. ValidationError names the entry.
"""
