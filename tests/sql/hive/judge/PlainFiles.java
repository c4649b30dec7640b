import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.util.EnumSet;
import java.util.Set;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsPermission;

/**
 * Local files whose permissions are read and set by Java. Without its native library, Hadoop starts {@code ls} and
 * {@code chmod} for each of them, which took a third of the processor time of these tests.
 */
public final class PlainFiles extends LocalFileSystem {
    public PlainFiles() {
        super(new Raw());
    }

    private static final class Raw extends RawLocalFileSystem {
        /** From the bit of the lowest value up. */
        private static final PosixFilePermission[] BITS = {
            PosixFilePermission.OTHERS_EXECUTE, PosixFilePermission.OTHERS_WRITE, PosixFilePermission.OTHERS_READ,
            PosixFilePermission.GROUP_EXECUTE, PosixFilePermission.GROUP_WRITE, PosixFilePermission.GROUP_READ,
            PosixFilePermission.OWNER_EXECUTE, PosixFilePermission.OWNER_WRITE, PosixFilePermission.OWNER_READ,
        };

        @Override
        public void setPermission(Path path, FsPermission permission) throws IOException {
            Set<PosixFilePermission> wanted = EnumSet.noneOf(PosixFilePermission.class);
            for (int bit = 0; bit < BITS.length; bit++) {
                if ((permission.toShort() >> bit & 1) == 1) {
                    wanted.add(BITS[bit]);
                }
            }
            Files.setPosixFilePermissions(pathToFile(path).toPath(), wanted);
        }

        @Override
        public FileStatus getFileStatus(Path path) throws IOException {
            PosixFileAttributes found;
            try {
                found = Files.readAttributes(pathToFile(path).toPath(), PosixFileAttributes.class, new LinkOption[0]);
            } catch (NoSuchFileException missing) {
                throw new FileNotFoundException("File " + path + " does not exist");
            }
            int permission = 0;
            for (int bit = 0; bit < BITS.length; bit++) {
                permission |= found.permissions().contains(BITS[bit]) ? 1 << bit : 0;
            }
            return new FileStatus(
                    found.isDirectory() ? 0 : found.size(), found.isDirectory(), 1, getDefaultBlockSize(path),
                    found.lastModifiedTime().toMillis(), found.lastAccessTime().toMillis(),
                    new FsPermission((short) permission), found.owner().getName(), found.group().getName(),
                    makeQualified(path));
        }
    }
}
